"""A folder of `.ics` files, one item each (the vdir format of vdirsyncer, khal, todoman)."""
