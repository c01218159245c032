"""The training database: build, read, clean, split, look.

What readers, importers and exporters call:

- `build.build(records, root, folder, *, dataset="utkface", framing="chip" or "photo", crops="both",
  side=160, processes=2, min_score=None, progress=None) -> BuildReport`: cut and store all records, or go on
  with what a killed build left. Records whose `dropped` is set are not read: they are counted and named
  in the database's report. "chip": each picture is a tight crop of the labelled face already (UTKFace,
  MegaAge-Asian, AFAD). "photo": the labelled face is looked for (near the record's box or landmarks, else the
  most central one). A picture that cannot be read is dropped with its reason, never fatal.
- `build.build_from_arrays(images, records, folder, *, dataset, side)`: the same for pictures in memory
  (`data import`): `images[i]` is uint8 RGB (height, width, 3) of `records[i]`, stored as it is.
- `crops.open_store(folder, in_memory=False) -> CropStore`: `whole`, `aligned` uint8 RGB (n, side, side, 3),
  and labels as arrays, NaN or "" where unknown: what `data export` reads.
- `database.read_faces(folder) -> pyarrow.Table`: all columns but the pictures, one row a face.
"""
