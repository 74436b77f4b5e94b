"""One subject's abuses in a loop, and what another subject notices of them."""
