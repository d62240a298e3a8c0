# make demo: train and test on moving shapes.  make test: run the tests (make test-long: the long ones; make coverage: with coverage; make matrix: on other versions).  make lint: check the style.  make docs: build the documentation.  make tour: take the pictures of docs/tour.md.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DATA ?= data/moving_shapes
DEMO ?= work_dirs/demo
CONFIG := configs/retrieval/clip4clip/clip4clip-seq_vit-tiny-p16-res64_1xb64-f4-8e_moving-shapes-rgb.py
CAPTIONING := configs/captioning/clip4clip
CAPTIONER := $(CAPTIONING)/clip4clip-seq-joint_vit-tiny-p16-res64_1xb64-f4-20e_moving-shapes-rgb.py
export MOVING_SHAPES = $(DATA)
# Threads sleep between two operations: where other programs use the cores, threads that spin wait for each other.
export OMP_WAIT_POLICY ?= PASSIVE
DATA_FLAGS ?=
QUERY ?= a red star moves to the left
TRAIN_OPTIONS ?=

.PHONY: demo tour seeds captions test test-long matrix matrix-small coverage lint docs clean
.DEFAULT_GOAL := help

help:
	@head -1 Makefile

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# The constraints are versions that are known to work together.
$(VENV)/installed: requirements/known-good.txt setup.cfg | $(BIN)/python
	$(BIN)/pip install --constraint requirements/known-good.txt --editable '.[openmmlab,decord]'
	touch $@

$(VENV)/installed-%: $(VENV)/installed
	$(BIN)/pip install --constraint requirements/known-good.txt --editable '.[$*]'
	touch $@

# Train retrieval, then train captioning from its checkpoint, then search the test videos.
demo: $(VENV)/installed-demo
	@bash tools/demo_step.sh $(DEMO) 1 'write the videos'
	$(BIN)/python tools/dataset_converters/moving_shapes.py $(DATA) $(DATA_FLAGS)
	@bash tools/demo_step.sh $(DEMO) 2 'train retrieval'
	$(BIN)/python tools/train.py $(CONFIG) --work-dir $(DEMO) --seed 0 --resume \
		$(if $(TRAIN_OPTIONS),--cfg-options $(TRAIN_OPTIONS))
	@bash tools/demo_step.sh $(DEMO) 3 'test retrieval'
	$(BIN)/python tools/test.py $(CONFIG) $$(cat $(DEMO)/last_checkpoint) --work-dir $(DEMO)/test \
		--dump $(DEMO)/result.pkl
	@bash tools/demo_step.sh $(DEMO) 4 'train the captioner'
	$(BIN)/python tools/train.py $(CAPTIONER) --work-dir $(DEMO)/captioner --seed 0 --resume \
		--cfg-options load_from=$$(cat $(DEMO)/last_checkpoint) $(TRAIN_OPTIONS)
	@bash tools/demo_step.sh $(DEMO) 5 'test the captioner'
	$(BIN)/python tools/test.py $(CAPTIONER) $$(cat $(DEMO)/captioner/last_checkpoint) \
		--work-dir $(DEMO)/captioner/test --dump $(DEMO)/captions.pkl
	@bash tools/demo_step.sh $(DEMO) 6 'index the test videos, and search them'
	rm -rf $(DEMO)/index
	$(BIN)/mmclip4clip index $(DATA)/videos/test --model $$(cat $(DEMO)/last_checkpoint) --index $(DEMO)/index \
		| tail -1
	$(BIN)/mmclip4clip search $(QUERY) --index $(DEMO)/index --top 5 --sheet $(DEMO)/search.png
	@echo; echo "retrieval"
	@$(BIN)/python tools/analysis_tools/score_dump.py $(DEMO)/result.pkl
	@echo; echo "captioner"
	@$(BIN)/python tools/analysis_tools/score_dump.py $(DEMO)/captions.pkl --no-java
	@echo "pictures   $(DEMO)/test/gallery/test.png $(DEMO)/captioner/test/captions/test.png $(DEMO)/search.png"
	@echo "captions   $(DEMO)/captioner/test/captions/test.html"
	@echo "figures    $(DEMO)/test/metrics.json $(DEMO)/captioner/test/metrics.json"
	@echo "dumps      $(DEMO)/result.pkl $(DEMO)/captions.pkl"
	@echo "checkpoint $$(cat $(DEMO)/last_checkpoint) $$(cat $(DEMO)/captioner/last_checkpoint)"
	@echo "videos     $(DATA)/videos/test"
	@echo "search     $(BIN)/mmclip4clip search $(QUERY) --index $(DEMO)/index"
	@echo "page       $(BIN)/mmclip4clip serve $(DEMO)/index"

# Search the demo's index in a headless Chromium, and take the pictures of docs/tour.md.
TOUR ?= docs/images
tour: $(VENV)/installed-test
	MMCLIP4CLIP_TOUR=$(abspath $(TOUR)) MMCLIP4CLIP_DEMO=$(abspath $(DEMO)) OMP_NUM_THREADS=1 \
		$(BIN)/python -m pytest tests/apis/server/page/test_tour.py $(TOUR_FLAGS)

# Train and test each head with three seeds; print mean, standard deviation and the time of a training step.
# Tight learns almost nothing from scratch, so it starts from the CLIP that was trained with SeqTransformer.
HEADS ?= clip4clip clip4clip-lstm clip4clip-seq clip4clip-tight clip4clip-tight-paper clip4clip-wti clip4clip-xpool
SEEDS ?= 0 1 2
seeds: $(VENV)/installed
	$(BIN)/python tools/dataset_converters/moving_shapes.py $(DATA)
	set -e; for seed in $(SEEDS); do for head in $(HEADS); do \
		config=$$(ls configs/retrieval/clip4clip/$${head}_vit-tiny*); out=work_dirs/seeds/$$head-$$seed; \
		start=; case $$head in *-tight*) start="--cfg-options model.backbone.init_cfg.type=Pretrained \
			model.backbone.init_cfg.checkpoint=work_dirs/seeds/clip4clip-seq-$$seed/epoch_8.pth";; esac; \
		$(BIN)/python tools/train.py $$config --work-dir $$out --seed $$seed --resume $$start; \
		$(BIN)/python tools/test.py $$config $$(cat $$out/last_checkpoint) --work-dir $$out/test; \
	done; done
	$(BIN)/python tools/analysis_tools/summarize_runs.py $$(for head in $(HEADS); do \
		echo $$head=$$(for seed in $(SEEDS); do echo work_dirs/seeds/$$head-$$seed/test/metrics.json; done \
			| paste -sd ,); done)
	$(BIN)/python tools/analysis_tools/benchmark_steps.py $$(for head in $(HEADS); do \
		ls configs/retrieval/clip4clip/$${head}_vit-tiny*; done)

# Train the captioner of moving shapes jointly, on captions only, and with a frozen encoder, with three seeds each.
# Each run starts from SeqTransformer's checkpoint of the same seed, which the target seeds saves.
CAPTIONERS ?= joint caption-only frozen
captions: $(VENV)/installed-demo
	@for seed in $(SEEDS); do test -e work_dirs/seeds/clip4clip-seq-$$seed/epoch_8.pth \
		|| { echo "make captions starts from the checkpoints of: make seeds HEADS=clip4clip-seq"; exit 1; }; done
	set -e; for seed in $(SEEDS); do for kind in $(CAPTIONERS); do \
		config=$$(ls $(CAPTIONING)/clip4clip-seq-$${kind}_vit-tiny*); out=work_dirs/captions/$$kind-$$seed; \
		$(BIN)/python tools/train.py $$config --work-dir $$out --seed $$seed --resume \
			--cfg-options load_from=work_dirs/seeds/clip4clip-seq-$$seed/epoch_8.pth; \
		$(BIN)/python tools/test.py $$config $$(cat $$out/last_checkpoint) --work-dir $$out/test; \
	done; done
	$(BIN)/python tools/analysis_tools/summarize_runs.py $$(for kind in $(CAPTIONERS); do \
		echo $$kind=$$(for seed in $(SEEDS); do echo work_dirs/captions/$$kind-$$seed/test/metrics.json; done \
			| paste -sd ,); done)

# Two processes with one thread each; TEST_FLAGS='-n 0' uses a single process.
test: $(VENV)/installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal $(TEST_FLAGS)

test-long: $(VENV)/installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m long $(TEST_FLAGS)

# The tests on the oldest, the pinned and the newest versions, each in an environment of its own (.matrix/); small:
# import, a training step, a test and safe checkpoints, on the oldest and the newest, at the same time.
# MATRIX_FLAGS=--skip-missing skips sets whose Python is not installed. It downloads CUDA builds of torch, 10 GB.
$(VENV)/uv: | $(BIN)/python
	$(BIN)/pip install uv
	touch $@

matrix: $(VENV)/uv
	$(BIN)/python .ci/matrix.py $(MATRIX_FLAGS)

matrix-small: $(VENV)/uv
	$(BIN)/python .ci/matrix.py --small --sets oldest newest $(MATRIX_FLAGS)

# Measure lines and branches that the tests run, including child processes; print the total and files below 90 %.
coverage: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --cov --cov-report= $(TEST_FLAGS)
	@$(BIN)/coverage report --format=total | sed 's/^/total, in percent: /'
	@$(BIN)/coverage report | awk '$$NF ~ /%$$/ && $$NF + 0 < 90 && $$1 != "TOTAL"'

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

# Writes to site/. Warnings, such as broken links, are errors.
docs: $(VENV)/installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) .matrix build dist site *.egg-info
