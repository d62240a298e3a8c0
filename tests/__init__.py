import gc
import os

os.environ['HF_HUB_OFFLINE'] = '1'  # before transformers is imported: no test waits for a hub
gc.disable()  # imports make little rubbish; conftest.py enables it when all tests are collected
