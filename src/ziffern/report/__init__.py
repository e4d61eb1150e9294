"""Reports that people read: one HTML file each, from run folders alone, in English or German."""
