"""What the tests are made of. Nothing here shares a line with the product: it is the second opinion."""
