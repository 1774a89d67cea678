//! Operations, their derivatives and the tape that replays them.
