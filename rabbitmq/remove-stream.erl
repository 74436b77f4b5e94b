%% What a node evaluates to remove the stream events.log if it has only the name of it. From RabbitMQ 3.13 on it
%% must be given the queue itself. Used by healthcheck.sh and devstack/servers/broken_members.py.
Name = rabbit_misc:r(<<"/">>, queue, <<"events.log">>),
case rabbit_amqqueue:lookup(Name) of
  {ok, _} -> there;
  {error, not_found} ->
    logger:error("Rollcall removes the stream events.log, which is down for good: "
                 "it is declared anew, and filled from the log."),
    Lost = case erlang:function_exported(rabbit_db_queue, get_durable, 1) of
      true -> element(2, rabbit_db_queue:get_durable(Name));
      false -> Name
    end,
    rabbit_amqqueue:internal_delete(Lost, <<"rollcall">>),
    removed
end.
