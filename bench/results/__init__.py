"""Records, statistics, claims, leaderboard, tracking."""
