// Package pipeline is the write side: it takes uploads in and turns them into
// something that can be searched.
//
//	Intake   streams an upload into the blob store and commits it, with the job
//	         that must follow, to the ledger
//	Relay    publishes the jobs that the ledger owes the queue
//	Worker   settles deliveries: extract → chunk → embed → publish, or remove
//	Sweeper  finds what a dead worker or a flushed queue left behind
//
// Postgres is the truth. Any number of each may run, be killed and be started
// again; every write carries the attempt as a fencing token and every stage
// can be repeated.
package pipeline
