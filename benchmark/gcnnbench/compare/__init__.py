"""Side by side: two entries, two results directories, two states of a leaderboard."""
