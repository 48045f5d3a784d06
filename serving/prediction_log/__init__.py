"""The prediction log: answers and late labels, written ahead here, shipped to the store as Parquet."""
