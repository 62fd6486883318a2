from osm.kit.pace import Pace


def test_no_span_of_time_has_more_than_the_count() -> None:
    now = [0.0]
    pace = Pace[str](3, 60.0, lambda: now[0])
    done: list[float] = []
    while now[0] < 600:
        if not pace.wait_s("a"):
            pace.take("a")
            done.append(now[0])
        now[0] += 0.5
    assert all(sum(at <= other < at + 60 for other in done) <= 3 for at in done)
    assert len(done) == 30


def test_it_says_how_long_to_wait_and_keys_do_not_wait_for_each_other() -> None:
    now = [100.0]
    pace = Pace[str](2, 10.0, lambda: now[0])
    pace.take("a")
    now[0] = 104.0
    assert pace.wait_s("a") == 0
    pace.take("a")
    assert pace.wait_s("a") == 6.0
    assert pace.wait_s("b") == 0
    pace.forget("a")
    assert pace.wait_s("a") == 0
