"""syncengine keeps people's calendars and to-dos in step with an activity server.

Theory of operation
===================

There are three records. The *item* is what a person sees and edits in the calendar: an iCalendar text in a folder or
on a CalDAV server. The *activity* is the one record everybody shares on the server. Between them, in the client's own
state, stands the *proxy*: the activity as the user means it. Item and activity never touch; each is compared with its
own past, which the proxy keeps, and never with the other side. A server that rounds a value or a calendar that cannot
show one therefore causes no ping-pong: what a side cannot hold is simply kept, on the proxy.

A run is gather, decide, do, record:

* **absorb** reads the items that changed since the last run and lays onto their proxies the fields that moved;
* the server's **change feed** is laid beside them, in the proxies' picture of the server;
* **correlate** finds, by the mapping's natural keys, which item and which activity are the same thing;
* the **brakes** look at all that would be deleted, and stop the run when it looks like an accident;
* **reconcile** looks up, for each proxy that has changed, a verdict in a table of (what happened here, what happened
  there), merges field by field, and says what the server is to be told;
* **reflect** says what the item must show, and changes just those properties of its text.

Every decision is a pure function on values (`core`), carries its reason, and is carried out by something that decides
nothing (`services`, `connectors`, `store`). Every write has its intent recorded before and its result after, each
step in one transaction, and every command to the server carries an id the server answers once; so a run can be killed
at any instant. Every value that is overwritten goes to a history first. When a field was changed differently on both
sides it is *held*: both values wait for a person while everything else goes on.

A run can be *undone* (`core.sync.undo`): history has a trace of each of its writes, and what still is as the run left
it is put back on the side it was written to. The pair is tied, so that no run passes that on: fields that were put
back are held, and what has lost its other half stays alone.

A *message* is an item that says the same for ever: `core.correspondence` tells whether it is shared by itself and
what its activity is related to, its text and files are read just before the server is told (`core.sync.messages`), and
nothing comes down to it. *Attachments* travel as texts that name a content by its digest; the contents themselves go
before the command that lists them and come before the item that holds them (`services.sync.contents`).

People, companies and opportunities are *records*. The server keeps, for each employee's *view*, which of them are
complete, which come along to be looked at, and which activities stand under them (`core.visibility`); a run tells it
the user's view and edits, and takes in what changed, before it absorbs anything. An invitee who *declines* leaves the
team as one who deletes their copy does, but keeps the entry; of a meeting nobody here organizes, the newest revision
anybody has got is what counts (`core.sync.roles`).

What a user does with the client's own records (offline, or to delete an item here only) is said on the proxies and
carried out by the next run, through the same table and brakes. Removing the product ends all of it, the state last.

A resource that holds a series holds several items: the series, and as *parts* its changed occurrences, later parts and
extra dates, each with a proxy and an activity of its own. The server knows a handful of patterns, so the series becomes
the coarsest pattern that meets every occurrence, with exceptions (`core.recurrence.translate`); what the server changes
comes back with the least change of the calendar's own rule (`core.recurrence.back`).

The *agent* runs each PIM when a table says that it is due (`core.schedule`): how the last run ended, and what has
happened since. All else it does is wait; whatever it is doing when it is told to end, it may be cut.

How fields correspond is said by mapping files, XML that an admin edits; who may change what, in `core.sync.roles`. An
edited mapping is laid onto what is known already (`core.sync.remap`); another server, onto what is left without its
ids (`core.sync.anew`).
Whoever reads on should do so in the order of the README's map.
"""
