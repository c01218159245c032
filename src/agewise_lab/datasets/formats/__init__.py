"""The files that other systems keep their crops in: `yu4u_mat` and `ssrnet_npz`, to and from `LabelledCrops`."""
