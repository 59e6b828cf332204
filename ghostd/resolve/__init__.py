"""From the names in import statements to files, and from names to the definitions behind them."""
