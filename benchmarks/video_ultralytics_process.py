"""The process of `video_ultralytics.py`: needs Ultralytics, and nothing of this package.

Says what it is once it has warmed up; then, for each line of its standard input, takes the clip
through the bare network and through `predict`, and prints the milliseconds a frame of each.
"""

from __future__ import annotations

import json
import sys
import time


def main() -> None:
    clip, size, threads, folder = sys.argv[1:]
    import torch

    torch.set_num_threads(int(threads))
    import ultralytics

    model = ultralytics.YOLO("yolo26n-sem.yaml")

    def run() -> int:
        results = model.predict(
            clip,
            imgsz=json.loads(size),
            save=True,
            stream=True,
            verbose=False,
            device="cpu",
            project=folder,
            exist_ok=True,
        )
        return sum(1 for _ in results)

    frames = run()
    network = model.predictor.model
    image = torch.zeros(1, 3, *model.predictor.imgsz)
    say({"version": ultralytics.__version__, "size": list(image.shape[2:])})
    for _ in sys.stdin:
        started = time.perf_counter()
        with torch.inference_mode():
            for _ in range(frames):
                network(image)
        bare = time.perf_counter() - started
        started = time.perf_counter()
        assert run() == frames
        whole = time.perf_counter() - started
        say([1e3 * bare / frames, 1e3 * whole / frames])


def say(content: object) -> None:
    print(json.dumps(content), flush=True)


if __name__ == "__main__":
    main()
