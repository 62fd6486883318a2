"""What an installed mesh is made of, as values: names, options, manifests, and plans of change.

Here: `helm`-style values to manifests, what an upgrade changes and what an uninstall removes. Not here:
talking to an API server (`osm.kubernetes`), and the pods of applications (`osm.core.inject`).

From what people type to what is applied:

    given = merged(PRESETS["ha"], mapping_of_a_values_file)            # presets, values_reading
    given = with_set(given, "osm.image.tag=2.0.1,osm.enableEgress=false")    # set_text: Helm's --set
    reading = read_values(given)              # refuses what nobody knows, naming what is near
    reading.remarks                           # OSM's values that have no effect here, and why
    installation = Installation(mesh="osm", namespace="osm-system")    # names
    refusals(installation, single=reading.values.osm.enforce_single_mesh,
             there=control_planes(deployments))                        # single_mesh: texts, or none
    for document in (*crds(), *manifests(installation, reading.values, version)):    # manifests
        ...    # in this order; what `is_kept` (MeshConfig) is created and never changed
    record(installation, version, reading.given)    # record: a ConfigMap that is written last

After an upgrade, and to uninstall, with all objects of the kinds `SEARCHED` that `selector` finds:

    to_prune(installation, documents, found)        # plan: objects to delete
    removals(installation, found)                   # plan: likewise, webhook configurations first

The Helm chart is written from the same templates (`template`, `chart`), so that both make the same.
"""
