"""What the chapter on the trialer test shows and says, a module a topic."""
