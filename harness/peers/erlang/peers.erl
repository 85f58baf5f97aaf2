%% The workloads in Erlang: processes that send each other plain messages, without the behaviours of OTP, which cost more.
-module(peers).
-export([main/1]).

-define(SENDERS, 8).
-define(NODES, 100).
-define(FAN_OUT, 10).
-define(ROW, 64).
-define(WINDOW, 1000).

%% Prints how long the last of the runs took, and what was counted, as the other peers do.
main([Workload | Numbers]) ->
    [Workers, Repeat, Warmup] = [list_to_integer(Number) || Number <- Numbers],
    [run(Workload, Workers, Repeat) || _ <- lists:seq(1, Warmup)],
    {Microseconds, Counts} = run(Workload, Workers, Repeat),
    io:format("{\"seconds\":~w,\"counts\":~w}~n", [Microseconds / 1000000, Counts]),
    halt().

%% Each run in a process of its own: what is left in a mailbox is of no other run.
run(Workload, Workers, Repeat) ->
    Own = self(),
    spawn_link(fun() -> Own ! {result, workload(Workload, Workers, Repeat)} end),
    receive
        {result, Result} -> Result
    end.

workload("ThroughputPerformance", Workers, Repeat) ->
    Each = Repeat div Workers,
    pairs(Workers, Each, min(?WINDOW, Each));
workload("PingPong", _, Repeat) -> pairs(1, Repeat, 1);
workload("FanIn", _, Repeat) -> fan_in(Repeat);
workload("ThreadRing", _, Repeat) -> ring(Repeat);
workload("Skynet", _, Repeat) -> skynet(Repeat);
workload("Spawn.Life", _, Repeat) -> lives(Repeat);
workload("Dispatch.Await", _, Repeat) -> ask(Repeat).

%% Runs the start, waits until all have said that they are done, and gives the time. What they said is in their order.
timed(Start, All) ->
    Started = erlang:monotonic_time(nanosecond),
    Start(),
    Said = [receive {done, One, What} -> What end || One <- All],
    {(erlang:monotonic_time(nanosecond) - Started) / 1000, Said}.

%% What is counted by one that ends when it is told to.
count_of(Pid) ->
    Pid ! {stop, self()},
    receive {count, Pid, Count} -> Count end.

pairs(Pairs, Repeats, Window) ->
    Own = self(),
    Both = [begin
                Destination = spawn_link(fun() -> destination(0) end),
                Client = spawn_link(fun() -> client(Own, Destination, Repeats, Window) end),
                {Client, Destination}
            end || _ <- lists:seq(1, Pairs)],
    Clients = [Client || {Client, _} <- Both],
    {Time, Pongs} = timed(fun() -> [Client ! run || Client <- Clients] end, Clients),
    Pings = [count_of(Destination) || {_, Destination} <- Both],
    {Time, lists:append([[Ping, Pong] || {Ping, Pong} <- lists:zip(Pings, Pongs)])}.

client(Main, Destination, Repeats, Window) ->
    receive run -> ok end,
    [Destination ! {ping, self()} || _ <- lists:seq(1, Window)],
    client_loop(Main, Destination, Repeats - Window, Repeats, 0).

client_loop(Main, _, 0, Repeats, Repeats) ->
    Main ! {done, self(), Repeats};
client_loop(Main, Destination, Unsent, Repeats, Pongs) ->
    receive
        pong when Unsent > 0 ->
            Destination ! {ping, self()},
            client_loop(Main, Destination, Unsent - 1, Repeats, Pongs + 1);
        pong ->
            client_loop(Main, Destination, 0, Repeats, Pongs + 1)
    end.

destination(Pings) ->
    receive
        {ping, From} ->
            From ! pong,
            destination(Pings + 1);
        {stop, From} ->
            From ! {count, self(), Pings}
    end.

fan_in(Repeat) ->
    Own = self(),
    Receiver = spawn_link(fun() -> receiver(0) end),
    Senders = [spawn_link(fun() -> sender(Own, Receiver, share(Repeat, ?SENDERS, Index)) end)
               || Index <- lists:seq(0, ?SENDERS - 1)],
    {Time, Bursts} = timed(fun() -> [Sender ! start || Sender <- Senders] end, Senders),
    {Time, [count_of(Receiver) | Bursts]}.

receiver(Received) ->
    receive
        item ->
            receiver(Received + 1);
        {last, From} ->
            From ! more,
            receiver(Received + 1);
        {stop, From} ->
            From ! {count, self(), Received}
    end.

sender(Main, Receiver, Share) ->
    receive start -> ok end,
    {Unsent1, Bursts1} = burst(Receiver, Share, 0),
    {Unsent2, Bursts2} = burst(Receiver, Unsent1, Bursts1),
    sender_loop(Main, Receiver, Unsent2, Bursts2, 0).

sender_loop(Main, _, 0, Bursts, Bursts) ->
    Main ! {done, self(), Bursts};
sender_loop(Main, Receiver, Unsent, Bursts, Answered) ->
    receive
        more ->
            {Left, Sent} = burst(Receiver, Unsent, Bursts),
            sender_loop(Main, Receiver, Left, Sent, Answered + 1)
    end.

burst(_, 0, Bursts) ->
    {0, Bursts};
burst(Receiver, Unsent, Bursts) ->
    Burst = min(?WINDOW div 2, Unsent),
    [Receiver ! item || _ <- lists:seq(2, Burst)],
    Receiver ! {last, self()},
    {Unsent - Burst, Bursts + 1}.

ring(Hops) ->
    Own = self(),
    Last = spawn_link(fun() -> receive {close, First} -> ring_node(Own, First, 0) end end),
    {First, Ring} = lists:foldl(
        fun(_, {Next, Nodes}) ->
            Node = spawn_link(fun() -> ring_node(Own, Next, 0) end),
            {Node, [Node | Nodes]}
        end,
        {Last, [Last]},
        lists:seq(2, ?NODES)),
    Last ! {close, First},
    End = lists:nth(Hops rem ?NODES + 1, Ring),
    {Time, [last]} = timed(fun() -> First ! {token, Hops} end, [End]),
    {Time, [count_of(Node) || Node <- Ring]}.

ring_node(Main, Next, Tokens) ->
    receive
        {token, 0} ->
            Main ! {done, self(), last},
            ring_node(Main, Next, Tokens + 1);
        {token, HopsLeft} ->
            Next ! {token, HopsLeft - 1},
            ring_node(Main, Next, Tokens + 1);
        {stop, From} ->
            From ! {count, self(), Tokens}
    end.

skynet(Leaves) ->
    Own = self(),
    {Time, [Sum]} = timed(fun() -> spawn(fun() -> tree(Own, 0, Leaves) end) end, [root]),
    {Time, [Sum]}.

%% To the process that waits for the root, that is as any other child.
tree(Parent, First, 1) ->
    Parent ! {done, root, First};
tree(Parent, First, Leaves) ->
    Children = min(?FAN_OUT, Leaves),
    Own = self(),
    lists:foldl(
        fun(Child, Begin) ->
            Share = share(Leaves, Children, Child),
            spawn(fun() -> tree(Own, Begin, Share) end),
            Begin + Share
        end,
        First,
        lists:seq(0, Children - 1)),
    Parent ! {done, root, sum(Children, 0)}.

sum(0, Sum) ->
    Sum;
sum(Untold, Sum) ->
    receive
        {done, root, OfChild} -> sum(Untold - 1, Sum + OfChild)
    end.

%% Of the two counters, the first has the messages, the second the ends.
lives(Repeat) ->
    Ended = counters:new(2, []),
    Started = erlang:monotonic_time(nanosecond),
    spawn(fun() -> parent(Ended, Repeat) end),
    wait_for_ends(Ended, Repeat),
    Time = (erlang:monotonic_time(nanosecond) - Started) / 1000,
    {Time, [counters:get(Ended, 1), counters:get(Ended, 2)]}.

wait_for_ends(Ended, Repeat) ->
    case counters:get(Ended, 2) of
        Repeat -> ok;
        _ -> timer:sleep(1), wait_for_ends(Ended, Repeat)
    end.

parent(_, 0) ->
    ok;
parent(Ended, Left) ->
    Row = min(?ROW, Left),
    [begin
         Child = spawn(fun() -> child(Ended, 0) end),
         Child ! first,
         Child ! stop
     end || _ <- lists:seq(1, Row)],
    erlang:yield(),
    parent(Ended, Left - Row).

child(Ended, Messages) ->
    receive
        first ->
            child(Ended, Messages + 1);
        stop ->
            counters:add(Ended, 1, Messages),
            counters:add(Ended, 2, 1)
    end.

ask(Repeat) ->
    Own = self(),
    Counter = spawn_link(fun() -> counter(0) end),
    Asker = spawn_link(fun() -> receive go -> asker(Own, Counter, Repeat, 0, 0) end end),
    {Time, [Good]} = timed(fun() -> Asker ! go end, [Asker]),
    {Time, [Good, count_of(Counter)]}.

asker(Main, _, 0, _, Good) ->
    Main ! {done, self(), Good};
asker(Main, Counter, Left, Answers, Good) ->
    Round = min(?WINDOW, Left),
    Asked = [begin
                 Reference = make_ref(),
                 Counter ! {call, self(), Reference},
                 Reference
             end || _ <- lists:seq(1, Round)],
    {After, NowGood} = answers(Asked, Answers, Good),
    asker(Main, Counter, Left - Round, After, NowGood).

answers([], Answers, Good) ->
    {Answers, Good};
answers([Reference | Asked], Answers, Good) ->
    receive
        {Reference, Calls} when Calls =:= Answers + 1 -> answers(Asked, Answers + 1, Good + 1);
        {Reference, _} -> answers(Asked, Answers + 1, Good)
    end.

counter(Calls) ->
    receive
        {call, From, Reference} ->
            From ! {Reference, Calls + 1},
            counter(Calls + 1);
        {stop, From} ->
            From ! {count, self(), Calls}
    end.

share(Total, Among, Index) when Index < Total rem Among -> Total div Among + 1;
share(Total, Among, _) -> Total div Among.
