"""`serve --workers N`: several processes on one machine that look like one from outside.

`parent`    binds both ports, answers the management port, runs the jobs, ends everything
`crew`      starts the workers, replaces those that end or fall silent, tells them to stop
`child`     one worker as its parent sees it: a process, a line, what it last said
`pulse`     the health of all of them together
`totals`    their metrics together, and what the ended ones had counted
`merging`   how the numbers of several processes become one
`rules`     what that means for each gauge
`snapshot`  the metrics of a process as a message
`state`     the health of a worker as a message
`channel`   the line between parent and worker: JSON behind its length
`worker`    the process at the other end: answers the public port and what its parent asks
`orphan`    its end when it hangs and its parent was killed
`__main__`  where that process begins

The workers share one listening socket: whoever is free accepts, nothing waits behind one that
hangs, and nothing is lost with one that is killed. A worker starts afresh (exec, never a fork of
a process with threads), reads its settings where its parent read them, and gets the socket and
the line as open files: no secret is an argument.
"""
