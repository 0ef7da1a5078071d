//! Display widths: how many terminal cells a text takes, and how it is cut to fit.
