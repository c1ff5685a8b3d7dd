"""The deploy tool: creates databases and deploys design documents; of app, it imports app.couch only."""
