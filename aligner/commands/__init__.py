"""The commands of the `aligner` program, one file each: arguments and tables, nothing else."""
