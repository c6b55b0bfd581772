#!/usr/bin/env python3
"""Makes the demo's corpus: sentences.txt spoken by hibari-tts, in LJSpeech's layout with TextGrids.

    OUT/metadata.csv               id|text|text
    OUT/wavs/ID.wav                22,050 Hz, 16 bit, mono
    OUT/TextGrid/ID.TextGrid       tiers "words" and "phones": ARPAbet with stress, pauses "sp", silent ends "sil"
    OUT/corpus.json                what it was made from; written last, so that a whole corpus is known by it

The synthesizer speaks the phones that Lyre's own front end gives a sentence, so the TextGrids hold exactly what
synthesis will ask for later. It settles how long each of its symbols lasts before it makes a sample; these durations
become the TextGrid. They are good to about 25 ms, as a forced aligner's are.
"""

import argparse
import hashlib
import json
import shutil
import sys
import zlib
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from text.frontend import Frontend, Pronunciation
from text.symbols import is_mark

SAMPLE_RATE = 22050  # of the corpus, Hz
VOICE_RATE = 24000  # of the synthesizer, Hz
VOICE_FRAME = 600  # samples of the synthesizer in one unit of its durations: 25 ms
MIN_PAUSE_S = 0.08  # a shorter gap between words is no pause: it belongs to the phone before it
QUIET = 0.02  # of the loudest moment's amplitude: below it nothing is heard at the end
LAG_S = 0.05  # the synthesizer's boundaries come this much after the sound: its durations were learned so

# ARPAbet -> the synthesizer's alphabet (misaki's, an IPA with capitals for diphthongs).
VOICE_PHONES = {
    **{"AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "W", "AY": "I", "EH": "ɛ", "ER": "ɜɹ", "EY": "A", "IH": "ɪ"},
    **{"IY": "i", "OW": "O", "OY": "Y", "UH": "ʊ", "UW": "u", "B": "b", "CH": "ʧ", "D": "d", "DH": "ð", "F": "f"},
    **{"G": "ɡ", "HH": "h", "JH": "ʤ", "K": "k", "L": "l", "M": "m", "N": "n", "NG": "ŋ", "P": "p", "R": "ɹ"},
    **{"S": "s", "SH": "ʃ", "T": "t", "TH": "θ", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ"},
}
UNSTRESSED = {"AH0": "ə", "ER0": "əɹ"}  # vowels that sound otherwise without stress
STRESS_MARKS = {"0": "", "1": "ˈ", "2": "ˌ"}  # before the vowel
VOICE_MARKS = {"-": "—"}  # the other marks are the same
# Dictionaries stress these as words of their own; in a sentence they are weak, and stressed they sound chopped.
WEAK_WORDS = frozenset(
    """a am an and are as at be been but by can could did do does for from had has have he her his i if in into is it
    its me my of on or our she should so than that the their them then there they this to us was we were when which
    who will with would you your""".split()
)


@dataclass
class Interval:
    """A phone, or a gap between words (label ""), and how the synthesizer says it."""

    label: str
    word: int  # which word it belongs to; -1 for a gap
    symbols: str
    seconds: float = 0.0


def spoken_intervals(pronunciation: Pronunciation) -> list[Interval]:
    """The phones of a sentence with a gap between any two words, written in the synthesizer's alphabet."""
    intervals: list[Interval] = []
    tokens = list(pronunciation.phones)
    for number, word in enumerate(pronunciation.words):
        if number:
            intervals.append(Interval("", -1, ""))
        while is_mark(tokens[0]):  # the mark's pause is the gap before this word
            mark = tokens.pop(0)
            intervals[-1].symbols += VOICE_MARKS.get(mark, mark)
        if number:
            intervals[-1].symbols += " "
        for phone in word.phones:
            assert tokens.pop(0) == phone
            intervals.append(Interval(phone, number, voice_symbols(phone, word.text.lower() in WEAK_WORDS)))
    end = "".join(VOICE_MARKS.get(mark, mark) for mark in tokens)
    return [Interval("", -1, "_"), *intervals, Interval("", -1, end + "_")]


def voice_symbols(phone: str, weak: bool) -> str:
    """One ARPAbet phone in the synthesizer's alphabet; "_" is its padding."""
    vowel, stress = phone.rstrip("012"), phone[-1]
    sound = UNSTRESSED.get(phone, VOICE_PHONES[vowel])
    return sound if weak or vowel == phone else STRESS_MARKS[stress] + sound


class Voice:
    """The synthesizer, with the durations inside its graph made visible."""

    def __init__(self) -> None:
        import onnx
        import onnxruntime
        from hibari import Hibari

        hibari = Hibari()
        self._vocabulary = {**hibari.vocab, "_": 0}
        graph = onnx.load(hibari.model_path)
        durations = onnx.helper.make_tensor_value_info("/Clip_output_0", onnx.TensorProto.FLOAT, None)
        graph.graph.output.append(durations)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3  # errors
        self._session: Any = onnxruntime.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def speak(self, intervals: list[Interval], seed: int) -> np.ndarray:
        """Speaks a sentence and fills in how long each interval lasts.

        Args:
            intervals: the sentence; their `seconds` are set.
            seed: of the noise in unvoiced sounds.

        Returns:
            float32 samples [N] at `VOICE_RATE`.

        Raises:
            RuntimeError: the durations do not add up to the sound: another version of the synthesizer.
        """
        from hibari import dsp

        ids = [self._vocabulary[symbol] for interval in intervals for symbol in interval.symbols]
        out = self._session.run(None, {"ids": np.array([ids], np.int64), "speed": np.ones(1, np.float32)})
        frames = np.asarray(out[6]).reshape(-1)
        audio = dsp.synth(*(part[0] for part in out[:6]), np.random.default_rng(seed))
        if len(frames) != len(ids) or int(frames.sum()) * VOICE_FRAME != len(audio):
            raise RuntimeError("hibari-tts keeps its durations elsewhere in this version; install 0.2.1")
        first = 0
        for interval in intervals:
            last = first + len(interval.symbols)
            interval.seconds = float(frames[first:last].sum()) * VOICE_FRAME / VOICE_RATE
            first = last
        return audio


def end_of_sound(audio: np.ndarray) -> float:
    """When the last audible sound ends, in seconds."""
    window = VOICE_FRAME // 2
    loudness = np.square(audio[: len(audio) // window * window]).reshape(-1, window).mean(axis=1)
    return float(np.flatnonzero(loudness > QUIET**2 * loudness.max())[-1] + 1) * window / VOICE_RATE


def aligned(intervals: list[Interval], sound_s: float) -> list[Interval]:
    """Joins gaps that are no pauses to the phone before, names the others and takes the lag out.

    The synthesizer counts most of the silence at the end to the last phone: it is cut off there.
    """
    kept: list[Interval] = []
    for place, interval in enumerate(intervals):
        edge = place in (0, len(intervals) - 1)
        if not interval.label and not edge and interval.seconds < MIN_PAUSE_S:
            kept[-1].seconds += interval.seconds
            continue
        kept.append(interval)
        if not interval.label:
            interval.label = "sil" if edge else "sp"
    lag = min(LAG_S, kept[0].seconds / 2)
    kept[0].seconds -= lag
    kept[-1].seconds += lag
    silence = max(0.0, sum(interval.seconds for interval in kept[:-1]) - sound_s)
    silence = min(silence, kept[-2].seconds - VOICE_FRAME / VOICE_RATE)
    kept[-2].seconds -= silence
    kept[-1].seconds += silence
    return kept


def textgrid(intervals: list[Interval], words: list[str]) -> str:
    """Praat's text format with the tiers "words" and "phones"."""
    phones: list[tuple[float, float, str]] = []
    spans: list[tuple[float, float, str]] = []
    start = 0.0
    previous = None
    for interval in intervals:
        end = start + interval.seconds
        phones.append((start, end, interval.label))
        if interval.word >= 0 and interval.word == previous:
            spans[-1] = (spans[-1][0], end, spans[-1][2])
        else:
            spans.append((start, end, words[interval.word] if interval.word >= 0 else ""))
        start, previous = end, interval.word
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {start:.6f}"]
    lines += ["tiers? <exists>", "size = 2", "item []:"]
    for number, (name, rows) in enumerate((("words", spans), ("phones", phones)), start=1):
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f'        name = "{name}"']
        lines += ["        xmin = 0", f"        xmax = {start:.6f}", f"        intervals: size = {len(rows)}"]
        for count, (begin, end, label) in enumerate(rows, start=1):
            lines += [f"        intervals [{count}]:", f"            xmin = {begin:.6f}"]
            lines += [f"            xmax = {end:.6f}", f'            text = "{label}"']
    return "\n".join(lines) + "\n"


def origin(pronunciations: list[Pronunciation]) -> dict[str, str]:
    """What decides the corpus's bytes: the texts with their phones, this file and the synthesizer."""
    spoken = json.dumps([[p.text, p.phones] for p in pronunciations]).encode()
    digest = hashlib.sha256(spoken + Path(__file__).read_bytes()).hexdigest()
    return {"made_from": digest, "hibari-tts": version("hibari-tts")}


def make_corpus(out: Path, pronunciations: list[Pronunciation]) -> float:
    """Writes the corpus to a folder that does not exist yet.

    Returns:
        Its length in seconds.
    """
    import soundfile
    import soxr

    voice = Voice()
    for folder in ("wavs", "TextGrid"):
        (out / folder).mkdir(parents=True)
    rows, samples = [], 0
    for number, pronunciation in enumerate(pronunciations, start=1):
        utt_id = f"demo-{number:03d}"
        intervals = spoken_intervals(pronunciation)
        speech = voice.speak(intervals, zlib.crc32(utt_id.encode()))
        audio = soxr.resample(speech, VOICE_RATE, SAMPLE_RATE)
        soundfile.write(out / "wavs" / f"{utt_id}.wav", np.clip(audio, -1, 1), SAMPLE_RATE, subtype="PCM_16")
        words = [word.text.lower() for word in pronunciation.words]
        grid = textgrid(aligned(intervals, end_of_sound(speech)), words)
        (out / "TextGrid" / f"{utt_id}.TextGrid").write_text(grid, encoding="utf-8")
        rows.append(f"{utt_id}|{pronunciation.text}|{pronunciation.text}\n")
        samples += len(audio)
    (out / "metadata.csv").write_text("".join(rows), encoding="utf-8")
    (out / "corpus.json").write_text(json.dumps(origin(pronunciations), indent=2) + "\n", encoding="utf-8")
    return samples / SAMPLE_RATE


def main() -> None:
    """Makes the corpus, unless it is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE / "corpus", help="the corpus's folder (default: %(default)s)")
    parser.add_argument("--sentences", type=Path, default=HERE / "sentences.txt", help="a sentence a line")
    parser.add_argument("--count", type=int, help="only the first COUNT sentences")
    args = parser.parse_args()
    lines = args.sentences.read_text(encoding="utf-8").split("\n")
    frontend = Frontend()
    pronunciations = [frontend.pronounce(line) for line in lines if line.strip()][: args.count]
    stamp = args.out / "corpus.json"
    if stamp.is_file() and json.loads(stamp.read_text(encoding="utf-8")) == origin(pronunciations):
        print(f"The corpus is there: {args.out}")
        return
    if args.out.exists() and not stamp.is_file() and any(args.out.iterdir()):
        sys.exit(f"{args.out} holds files that are no demo corpus; move them away, or choose another folder with --out")
    partial = args.out.with_name(args.out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    seconds = make_corpus(partial, pronunciations)
    shutil.rmtree(args.out, ignore_errors=True)
    partial.rename(args.out)
    print(f"Made the corpus: {len(pronunciations)} sentences, {seconds / 60:.1f} minutes of speech in {args.out}")


if __name__ == "__main__":
    main()
