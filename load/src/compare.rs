//! Whether one run was better than another, or whether it was only noise.
