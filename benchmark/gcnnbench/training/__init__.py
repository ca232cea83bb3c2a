"""Training by a recipe: the loop, its optimisers, many seeds as one computation, and norm statistics estimated anew."""
