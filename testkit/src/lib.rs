//! Scenes: scripted origin, config, clients and transcript in paused time over in-memory pipes.
