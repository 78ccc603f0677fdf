"""One file per command of `milepost`."""
