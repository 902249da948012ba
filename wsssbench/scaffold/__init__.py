"""New plugin packages: names, templates, and writing them. ``wsssbench plugins new`` is the command."""
