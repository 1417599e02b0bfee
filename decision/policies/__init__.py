"""One policy a file, one contract: a situation in, a distribution over the allowed actions out."""
