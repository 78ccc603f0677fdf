"""What `make bench` measures: rates of the stages, as ratios in one run on one machine with the broker beside them."""
