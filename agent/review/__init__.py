"""The reviewer: what a range of commits is, by rules alone; see docs/review.md."""
