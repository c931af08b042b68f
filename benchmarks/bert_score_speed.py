#!/usr/bin/env python3
"""Pairs a second of BERTScore here and in the bert-score package on the same cores, measured in turns, and of ROUGE.

  benchmarks/bert_score_speed.py --encoder FOLDER [--program build/edgellm] [--pairs 256] [--rounds 5] [--threads 2]

Needs PyTorch and `pip install bert-score==0.3.13 transformers==4.40.2` for the package's side; without them (or with
--only-ours) only our figures are given. Both sides score the same pairs of random words, loading not counted, the package
once before it is timed. The ratio is the median of the rounds' ratios, so that a busy machine slows both.
"""
import argparse, json, pathlib, random, statistics, subprocess, sys, tempfile, time

WORDS = """the of and a to in is was for on that with as it by at from be this have or one had not but what all were when we there can an your which
their said if do will each about how up out them then she many some so these would other into has more her two like him see time could no make than
first been its who now people my made over did down only way find use may water long little very after words called just where most know get through back
much before go good new write our used me man too any day same right look think also around another came come work three word must because does part
even place well such here take why things help put years different away again off went old number great tell men say small every found still between name
should home big give air line set own under read last never us left end along while might next sound below saw something thought both few those always
looked show large often together asked house world going want school important until form food keep children feet land side without boy once animals life
enough took four head above kind began almost live page got earth need far hand high year mother light parts country father let night following picture
being study second eyes soon times story boys since white days ever paper hard near sentence better best across during today others however sure means knew
easily discovered mountains measurement comparison evaluation reference candidate tokenizer vocabulary uncertainty approximately nevertheless""".split()


def sentences(n_pairs, n_words, seed):
    generator = random.Random(seed)

    def text():
        return " ".join(generator.choice(WORDS) for _ in range(generator.randint(n_words * 4 // 5, n_words * 6 // 5))) + "."

    return [text() for _ in range(n_pairs)], [text() for _ in range(n_pairs)]


def ours(arguments, folder, metric, n_threads):
    out = folder / "scores.json"
    command = [arguments.program, "score", "--candidates", folder / "candidates.txt", "--references", folder / "references.txt", "--metrics", metric,
               "--json", out, "--no-results", "--threads", str(n_threads)]
    if metric == "bertscore":
        command += ["--encoder", arguments.encoder]
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    made = json.loads(out.read_text())
    return made["seconds"][metric], made["mean"]


def write(folder, candidates, references):
    (folder / "candidates.txt").write_text("\n".join(candidates) + "\n")
    (folder / "references.txt").write_text("\n".join(references) + "\n")


def package(arguments):
    try:
        import torch
        from bert_score import BERTScorer
    except ImportError as error:
        print(f"the bert-score package cannot be loaded ({error}): only our figures follow", file=sys.stderr)
        return None
    torch.set_num_threads(arguments.threads)
    layers = json.loads((pathlib.Path(arguments.encoder) / "config.json").read_text())["num_hidden_layers"]
    return BERTScorer(model_type=arguments.encoder, num_layers=layers, device="cpu")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--program", default="build/edgellm")
    parser.add_argument("--pairs", type=int, default=256)
    parser.add_argument("--words", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only-ours", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        candidates, references = sentences(arguments.pairs, arguments.words, 1)
        write(folder, candidates, references)
        scorer = None if arguments.only_ours else package(arguments)
        if scorer:
            scorer.score(candidates[:8], references[:8])
        our_seconds, their_seconds = [], []
        for turn in range(arguments.rounds):
            seconds, mean = ours(arguments, folder, "bertscore", arguments.threads)
            our_seconds.append(seconds)
            line = f"round {turn + 1}: edgellm {arguments.pairs / seconds:.2f} pairs/s"
            if scorer:
                start = time.monotonic()
                figures = [float(figure.mean()) for figure in scorer.score(candidates, references)]
                their_seconds.append(time.monotonic() - start)
                off = max(abs(a - b) for a, b in zip(figures, mean["bertscore"].values()))
                line += f", bert-score {arguments.pairs / their_seconds[-1]:.2f} pairs/s, means differ by {off:.1e}"
            print(line, flush=True)
        print(f"BERTScore of {arguments.pairs} pairs of {arguments.words} words, {arguments.threads} threads")
        print(f"  edgellm     {arguments.pairs / statistics.median(our_seconds):.2f} pairs/s")
        if scorer:
            ratio = statistics.median(theirs / mine for mine, theirs in zip(our_seconds, their_seconds))
            print(f"  bert-score  {arguments.pairs / statistics.median(their_seconds):.2f} pairs/s\n  ratio       {ratio:.2f}")
        write(folder, *sentences(10000, 100, 2))
        seconds = statistics.median(ours(arguments, folder, "rouge", 1)[0] for _ in range(3))
        print(f"ROUGE-1, 2, L, Lsum of 10000 pairs of 100 words: {seconds:.2f} s")


if __name__ == "__main__":
    main()
