"""Files on disk: artefacts, images, foreign formats, weight files, masks behind the leak guard."""
