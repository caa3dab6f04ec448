// Package desk is the web desk and its HTTP API: pages made on the server with
// html/template, a few hundred lines of plain JavaScript for what is live, and
// one table of routes that says who may use which.
package desk
