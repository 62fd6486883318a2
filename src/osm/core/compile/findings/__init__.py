"""What is wrong with objects, seen with all others: values that change nothing else.

What an object cannot mean, its own front end says (`compile.smi`, …), which has to know. Here stands
what it means and surely was not meant: services without workloads, rules that nothing fits, two
objects that are at odds. `stages.STAGES` come after all front ends and read their tables.

A mistake gives one finding, at the object where it is to be mended. An *error* has no effect (or the
named part has none), a *warning* surely was not meant, an *info* is worth knowing.
"""
