//! Many cores on a simulated network, disk and clock, all from one seed.
