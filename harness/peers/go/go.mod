module peers

go 1.18
