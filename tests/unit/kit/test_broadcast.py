import asyncio

from osm.kit.broadcast import Broadcast, Conflation


async def test_each_reader_gets_every_value_since_it_subscribed() -> None:
    numbers: Broadcast[int] = Broadcast(10)
    numbers.publish(0)
    with numbers.subscribe() as first:
        numbers.publish(1)
        with numbers.subscribe() as second:
            numbers.publish(2)
            assert [await anext(first), await anext(first)] == [1, 2]
            assert await anext(second) == 2
    assert numbers.dropped == 0


async def test_a_slow_reader_loses_its_oldest_values_and_holds_nobody_up() -> None:
    numbers: Broadcast[int] = Broadcast(3)
    with numbers.subscribe() as slow, numbers.subscribe() as quick:
        seen = []
        for number in range(10):
            numbers.publish(number)
            seen.append(await anext(quick))
        assert seen == list(range(10))
        assert [await anext(slow) for _ in range(3)] == [7, 8, 9]
    assert numbers.dropped == 7


async def test_a_reader_that_waits_is_woken() -> None:
    numbers: Broadcast[int] = Broadcast(3)
    with numbers.subscribe() as values:
        waiting = asyncio.ensure_future(anext(values))
        await asyncio.sleep(0)
        numbers.publish(5)
        assert await waiting == 5


async def test_a_reader_that_has_left_is_forgotten() -> None:
    numbers: Broadcast[int] = Broadcast(1)
    with numbers.subscribe():
        pass
    numbers.publish(1)
    numbers.publish(2)
    assert numbers.dropped == 0


async def test_conflation_keeps_the_newest_value_of_each_key() -> None:
    leaves: Conflation[str, int] = Conflation()
    with leaves.subscribe() as changes:
        for key, value in (("a", 1), ("b", 1), ("a", 2), ("a", 3)):
            leaves.publish(key, value)
        assert [await anext(changes), await anext(changes)] == [("a", 3), ("b", 1)]
        leaves.publish("b", 2)
        assert await anext(changes) == ("b", 2)
