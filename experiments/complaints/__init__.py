"""What customers complain about in reviews, by product and department; so that offers and products avoid it."""
