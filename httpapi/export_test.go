package httpapi

// Rewrite is rewrite.
var Rewrite = rewrite
