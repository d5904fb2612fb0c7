"""The data set: what it holds (`schema`), how it is made (`generate`), how it is sent (`records`)."""
