"""Changes for clients that follow them: departures from projects, visibility, cursors and polls."""
