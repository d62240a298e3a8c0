# Divide weights, gradients and the optimizer's state among the processes (torch's FullyShardedDataParallel).
# A config inherits it beside its other bases. Start it with tools/dist_train.sh or another launcher.
runner_type = 'FlexibleRunner'
strategy = dict(type='FSDPStrategy')
