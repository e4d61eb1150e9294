"""Reports on runs, comparisons and searches: one HTML file each, from run folders alone, in English or German."""
