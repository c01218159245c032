"""How an age or a gender is put out: layers, loss, and how `agewise.decode` reads the outputs. See `registry`."""
