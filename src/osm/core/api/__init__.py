"""What people write: typed objects by API group, their versions, checks, and the text around them.

- `kubernetes`, `smi`, `config`: frozen structs, one internal form per kind, whatever the version.
- `registry`: which group, version and kind has which form; names as `kubectl` takes them.
- `decode`: one mapping to one `manifest.Manifest`, or findings. `yaml_text`: a whole file.
- `edit`: replace or remove one document of a text and leave every other byte alone.

Checks of one object live here, and `decode.decode` makes all of them, whoever asks. What needs two
objects (a reference, a conflict) is checked by `core.compile`; reading and watching files is
`osm.local`'s.
"""
