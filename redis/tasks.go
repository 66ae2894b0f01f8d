package redis

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/google/uuid"
	"github.com/hibiken/asynq"

	voiceassist "github.com/voiceassist/backend"
)

// taskPage is how many tasks one request lists.
const taskPage = 1000

// Tasks lists the tasks that wait in the queues or were given up, in no order
// that lasts: what is taken meanwhile moves the others. An error ends the
// sequence. asynq gives no context to its requests; ctx is looked at between them.
func (q *Queue) Tasks(ctx context.Context) iter.Seq2[voiceassist.QueuedTask, error] {
	return func(yield func(voiceassist.QueuedTask, error) bool) {
		known, err := q.inspector.Queues()
		if err != nil {
			yield(voiceassist.QueuedTask{}, fmt.Errorf("list queues: %w", err))
			return
		}
		for _, name := range known {
			for _, list := range []func(string, ...asynq.ListOption) ([]*asynq.TaskInfo, error){
				q.inspector.ListPendingTasks, q.inspector.ListScheduledTasks, q.inspector.ListRetryTasks, q.inspector.ListArchivedTasks,
			} {
				if !eachTask(ctx, name, list, yield) {
					return
				}
			}
		}
	}
}

func eachTask(ctx context.Context, queue string, list func(string, ...asynq.ListOption) ([]*asynq.TaskInfo, error), yield func(voiceassist.QueuedTask, error) bool) bool {
	for n := 1; ; n++ {
		if err := ctx.Err(); err != nil {
			yield(voiceassist.QueuedTask{}, err)
			return false
		}
		page, err := list(queue, asynq.PageSize(taskPage), asynq.Page(n))
		if err != nil {
			yield(voiceassist.QueuedTask{}, fmt.Errorf("list tasks of %s: %w", queue, err))
			return false
		}
		for _, info := range page {
			if !yield(taskOf(info), nil) {
				return false
			}
		}
		if len(page) < taskPage {
			return true
		}
	}
}

func taskOf(info *asynq.TaskInfo) voiceassist.QueuedTask {
	t := voiceassist.QueuedTask{Queue: voiceassist.Queue(info.Queue), ID: info.ID}
	id, _, _ := strings.Cut(info.ID, ":")
	if job, err := uuid.Parse(id); err == nil {
		t.JobID = job
	}
	return t
}

// DropTask removes a task that nobody works on. One that is gone is no error.
func (q *Queue) DropTask(t voiceassist.QueuedTask) error {
	err := q.inspector.DeleteTask(string(t.Queue), t.ID)
	if err != nil && !errors.Is(err, asynq.ErrTaskNotFound) && !errors.Is(err, asynq.ErrQueueNotFound) {
		return fmt.Errorf("remove task: %w", err)
	}
	return nil
}
