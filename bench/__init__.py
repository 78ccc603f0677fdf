"""What the product takes, in one run on one machine with the broker beside it (`docs/benchmarks.md`).

`make bench` goes through `scenarios`: each is a world (`events`), filled into an `arena` and measured there by one of
`measures`, mostly with workers of `working`. The others are commands of their own.
"""
