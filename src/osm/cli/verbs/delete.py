"""`osm delete`."""

import click

from osm.cli.changes import print_changes
from osm.cli.client import connect
from osm.cli.command import Verb, mesh_option, output_option
from osm.cli.kinds import is_pod, parse_kinds, split_reference
from osm.cli.manifest_keys import keys_of
from osm.cli.manifest_text import read_manifests
from osm.cli.names import DEFAULT_NAMESPACE, NAMESPACE, OBJECT
from osm.core.api.manifest import Key
from osm.errors import UsageError


@click.command(
    cls=Verb,
    examples="""
    osm delete traffictarget bookstore -n bookstore
    osm delete traffictarget/bookstore -n bookstore
    osm delete -f policies/split.yaml
    osm delete -f demo:access --ignore-not-found
    """,
)
@click.argument("kind", required=False, metavar="[KIND")
@click.argument("names", nargs=-1, type=OBJECT, metavar="NAME...]")
@click.option("-f", "--filename", "files", multiple=True, metavar="FILE|DIR|-|demo:NAME",
              help="Delete the objects that are in there. May be repeated.")  # fmt: skip
@click.option("-R", "--recursive", is_flag=True, help="Look into directories below DIR, too.")
@click.option("-n", "--namespace", type=NAMESPACE, metavar="NAME",
              help=f"The namespace of NAME.  [default: {DEFAULT_NAMESPACE}]")  # fmt: skip
@click.option("--ignore-not-found", is_flag=True, help="Objects that do not exist are no error.")
@mesh_option
@output_option("json", "yaml", "name", default="text")
def command(
    *,
    kind: str | None,
    names: tuple[str, ...],
    files: tuple[str, ...],
    recursive: bool,
    namespace: str | None,
    ignore_not_found: bool,
    mesh: str | None,
    output: str,
) -> None:
    """Delete objects.

    Removes them from the files of the mesh's directory; the rest of those files stays as it is.
    """
    if kind == "mesh" and not names:
        # OSM called its `uninstall` so, too.
        raise UsageError("A mesh is no object.", hint="To remove one: osm uninstall mesh")
    if kind:
        kind, names = split_reference(kind, names)
    if files and kind:
        raise click.UsageError("Give either KIND and NAME, or -f, not both.")
    if files:
        keys = keys_of(read_manifests(files, recursive=recursive))
    elif kind and names:
        keys = _keys(kind, names, namespace)
    else:
        raise click.UsageError("Say what to delete: KIND NAME, or -f FILE.")
    with connect(mesh) as client:
        if ignore_not_found:
            existing = {item.key for item in client.objects()}
            keys = tuple(key for key in keys if key in existing)
        results = client.delete(keys) if keys else ()
    print_changes(results, output, dry_run=False)


def _keys(text: str, names: tuple[str, ...], namespace: str | None) -> tuple[Key, ...]:
    kinds = parse_kinds(text)
    if len(kinds) != 1:
        raise click.UsageError("Delete objects of one kind at a time.")
    kind = kinds[0]
    if is_pod(kind):
        raise click.UsageError("Pods are made by Deployments and StatefulSets: delete those.")
    place = (namespace or DEFAULT_NAMESPACE) if kind.namespaced else ""
    return tuple(Key(kind.group, kind.kind, place, name) for name in names)
