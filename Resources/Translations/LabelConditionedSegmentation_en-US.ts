<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="en_US" sourcelanguage="en_US">
  <context>
    <name>LabelConditionedSegmentation</name>
    <message>
      <source>1. Choose a volume. What is odd about it is said below it.
2. Tick the structures you want; search by name, synonym or code.
3. Enter what is known about the scan, if anything is.
4. Press Apply. Afterwards every further tick shows its segment at once.
No scan at hand? The module Sample Data has a brain scan for this module.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>A new label, or another example of one of My labels: what several scans show is found better.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>A tick on a structure ticks its counterpart on the other side too.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Accept</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Adapt to this scan</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Add a label by example from a file that was exported before.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Add label by example...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Add model...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Add to My labels</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>All</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Also write the volume of every chosen structure, in millilitres, into a table beside the segmentation.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Another segmentation of the same scan, such as that of another model, to compare this one with.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Apply</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>As under Input</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Ask before anything is installed, then install it through the PyTorch extension.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Begin new strokes on this scan: a segmentation with a segment for a structure, and one for the background.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Both sides</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Cancel</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Click into a view; the structures that the model sees there are offered.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Compare with:</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Copy report</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Copy the report of the last run: versions, device, times, memory, findings.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Correct the segments in the Segment Editor.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Create a new segmentation</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Device:</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Discard</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Edit...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Example of:</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Export label...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Fill in the form of a label by example with the accepted structure.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>First steps</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>For a scan of another kind than the model was trained on, such as another scanner, noise or contrast: a copy of the network is adapted to it, on this computer and for this scan alone. It is taken only where its features come nearer to those that the model knows. An experiment: on the scans that it was measured on, answers did not become better. Takes two to four times as long.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Frames:</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Give the label of My labels that is marked in the tree another name.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>How much of the run is done.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>How opaque the segments are in the slice views.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Import label...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Input</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Inside:</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Install a model package: choose its zip file, or the model.json of its folder. It is checked completely before it is installed.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Install what is missing...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Installed models</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Installed models with version, size on disk and licence. Mark one to update or remove it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>It is a scan</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Label Conditioned Segmentation</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Label conditioned segmentation (MIDL 2022), context label learning (TMI 2023), FiLM metadata conditioning (MIDL 2021).</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Labels by example: structures that you show the model yourself.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Lay the certainty of each voxel, from 0 to 100, over the slices: where it is low, one more stroke helps most.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Leave unknown what is not known for sure.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Let Apply segment volumes, or the frames of a sequence, one after the other.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Make a label of it</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Mark a model in the list first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Measure the segments in the module Segment Statistics.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Mend the last answer</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Model</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>My labels</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Name:</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>New</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>None</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Opacity:</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Open log</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Open the log file of the segmentation process.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Outline</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Output and options</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Paint a few lines, and get a structure, or mend the answer of the model with them.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Paint it</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Paint strokes of this structure: its segment is chosen, and made where there is none.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Pick in view</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Remove</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Remove label</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Remove the label of My labels that is marked in the tree.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Rename label...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Result</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Run another model over each scan too: its segments are shown as outlines, and a table puts volumes and overlap of both side by side.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Run the model once over the scan and add the label to the tree.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scan:</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Search by name, synonym or SNOMED CT code. Several words have to match all.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Search name, synonym or code</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Segment anyway</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Segmentation by a network that is told which structures to find and what is known about the scan. Choose a volume, tick structures, press Apply. See the &lt;a href="https://github.com/LabelConditionedSegmentation/LabelConditionedSegmentation"&gt;tutorial&lt;/a&gt;.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Segmentation:</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Sets of structures that were used last with this model.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Several scans</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Show 3D</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Show all that is said of the model: what it is for and not for, and its licence.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Show how certain the result is</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Show no preview until the next stroke. What was painted stays.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Show nothing but the outlines of the segments in the slice views.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Show the model a structure that it does not know, as a segment on a scan.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Show the segments in the 3D views too.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Shown by:</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Skull-stripped:</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Statistics...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Stop the run within two seconds. Nothing is changed.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Strokes</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Strokes correct the answer of the model, and what lies beside them: a voxel that is taken from one structure goes to another. Paint what the model gets wrong: where it is right already, a few strokes made its answer a little worse (Dice 0.894 to 0.887).</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Strokes:</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Structures</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Structures that both have by the same name: millilitres in this one and in the other, and their overlap (Dice: 1 is the same, 0 has nothing in common).</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Table of volumes</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Take back what the last Accept changed.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Take back what the last Apply changed in the segmentation; of several scans, what it made of the last one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The label of the model that the structure always lies in; nowhere else is it looked for.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model package. It decides which structures can be found, and in which kind of scan.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model packages on this computer, as the command lcs models lists them.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The scan that is painted on: that of the input, or another one, for which no model is needed.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The scan that is to be segmented.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The segmentation that strokes are painted in: a segment for each structure, and one called Background.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The segmentation, and its segment, that shows the structure on that scan.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The structure of the model that is there, where its answer is wrong.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The structure that the mouse points at in a slice view, as the last run found it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The volume is a scan, though it looks like a label map. This is remembered with the volume.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Tick every scan of the list.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Tick every structure of the model.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Tick the volumes and sequences that Apply is to segment. What is known of each is taken from DICOM.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Tick what is to be found. A tick on a group ticks everything in it; "as one" gives the group as one merged segment.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Undo</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Undo Accept</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Untick every scan of the list.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Untick everything.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Update...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Volumes of the chosen structures in millilitres. Asymmetry: left minus right, in percent of their mean.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>What is known about the scan</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>What the label is called; no other label of the tree may be called so.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>What the model sees at the point that was clicked, most probable first. Click one to tick it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>What the model was made for, and its licence.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>What the network runs on. "Automatic" takes a graphics card where there is one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>What to do with the segmentation, its volumes, and what lies where in it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>What was noticed about the chosen volume.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Where the segments go: a new segmentation, or an existing one. Its other segments are kept; the same structure is replaced.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Whether the volume shows nothing but the brain. "Automatic" finds out, and finds the brain first where it shows more.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Which frames of the sequences, such as 1-3, 7; all where nothing is entered.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Which of the two the views show. Of both, the other one is shown as outlines.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Write the label of My labels that is marked in the tree to a file.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Write the preview into the segmentation that is chosen under Output, or into a new one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Write the result, though it was found to be wrong; look at it before you use it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>all</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>more</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>LabelConditionedSegmentation.sentences</name>
    <message>
      <source> Choose one frame of it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source> Did you mean "{0}"?</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source> It knows: {0}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source> It uses no metadata.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source> The folder "{0}" below it does: give that, or take all with -r.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"Segment anyway" writes what was found to be wrong.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" and "{1}" lie on different grids, so they cannot be compared.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" and "{1}" lie on different grids.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" belongs to the protocol {1} and "{2}" to {3}, each of which divides the scan on its own: mend one of them at a time.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" cannot be read ({1}).</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" cannot be read ({1}); nothing is taken from it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" cannot be read any more; copy it again.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" cannot be read as an image: it is damaged, empty, or of a format that is not known.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" could not be written ({1}); nothing was left behind.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" could not be written: there is no folder "{1}"; choose another one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" does not describe a model package.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" does not fit the network that model.json describes: it {1}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" does not lie on the grid of "{1}": {2}. Resample one to the other.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" does not say which way its voxel axes run, so left and right are not known: convert it anew from the original, or say it with --assume-orientation, such as LPS.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" exists already; choose it itself, or another name.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" exists; choose another name, or replace it with overwrite=True.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" has an impossible position in space; repair its header.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" has no line for {1}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" has several columns called "{1}"; nothing is taken from it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" has the impossible voxel spacing {1} mm; repair its header.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" has {1} lines for {2}; nothing is taken from it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" has {1} values a voxel (colour or vector); a grey-value scan is needed.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" holds "{1}", packed in an unusual way; the archive is refused.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" holds "{1}", which is no part of a model package; the archive is refused.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" holds "{1}", which is no statistic of a level of the network.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" holds a value of the wrong kind ({1}).</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" holds files of more than one folder; the archive is refused.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" holds no image, or is damaged; give a DICOM file or folder that holds a scan.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" holds the link "{1}"; the archive is refused.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" holds the path "{1}", which leads out of the package; the archive is refused.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" holds voxels of a kind that cannot be read (NIfTI datatype {1}).</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" holds {1} DICOM files that are damaged, such as "{2}", and no others; copy them again.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is a group of structures; paint strokes of its parts, such as "{1}".</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is a pickled PyTorch file under a safetensors name; pickles can run code and are never opened.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is a single slice of a DICOM series; give the folder that holds the whole series.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is a single slice; a 3D scan is needed.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is a zip file that cannot be unpacked: it is damaged, encrypted, or packed in an unknown way.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is called "{1}" now.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is damaged or incomplete, or no volume of FreeSurfer. Copy or download it again.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is damaged or incomplete: some of its voxels are missing. Copy or download it again.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is damaged: it holds no JSON object; nothing is taken from it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is damaged: the line of {1} has {2}; nothing is taken from it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is gone; choose another one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is larger than any label by example.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is larger than any model file may be ({1} MiB).</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is no DICOM series, which a DICOM segmentation has to refer to; give the folder of the series, or {1}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is no complete model package: it has no {1}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is no device; use auto, cpu, cuda, cuda:0 or mps.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is no folder; unpack the package, and zip it again afterwards.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is no image that can be written; use a name that ends in {1}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is no label by example: it is not readable as JSON.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is no model package: neither a folder nor a zip file.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is no orientation; say where the voxel axes run to with three letters, one each of R or L, A or P, S or I, such as LPS.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is no output that can be written; use a name that ends in {1}, {2} or, for a DICOM series, {3}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is no table with tabs and a column {1}; nothing is taken from it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is no text in UTF-8; nothing is taken from it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is no valid safetensors file ({1}).</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is no valid safetensors file: it is truncated.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is no volume.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is not in this result; ask for it when the scan is segmented.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is not readable as JSON; the package is damaged.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is not the file that model.json describes (its SHA-256 differs): damaged, truncated or exchanged. Install the model again.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is not written: {1} of the network holds values that are not finite in half precision.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is one file of a pair, and there is no "{1}{2}" beside it; give both.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is the output: choose another one there, or press New for strokes of their own.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" is {1}; a single 3D scan is needed.{2}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" keeps its name, since no other one was given.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" lacks the entry {1}; the package is incomplete.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" lacks the mean or the variance {1}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" may be {1}; name one of them.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" names no frames; there are the frames 1 to {1}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" names no frames; write numbers and ranges such as 1-3, 7.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" of the model's input has the unknown entry "{1}".</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" overlaps another label that was asked for (a structure and a part of it, labels of two protocols, or one by example and one of the model), which a label map cannot hold; ask for one of them, or write a .seg.nrrd file.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" reaches the border of the box around the strokes, beyond which nothing is looked for.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" unpacks to more than {1} MiB; the archive is refused.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" was added to My labels.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" was made from {1} examples.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" was removed from My labels.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}" was written to {1}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}": {1} has the shape {2} where the network has {3}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}": {1} has to hold {2} float32 numbers, one a channel, and holds {3} of the kind {4}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}": {1} holds numbers of the kind {2}, which no weights of this version are.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}": {1} holds values that are not finite.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}": {1} holds values that no mean or variance has.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>"{0}": {1} unpacks to more than {2} MiB; the archive is refused.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>1 did not work: {0}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>: often too little memory</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>; and {0} more</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>A 3D image is needed; this one is {0}D.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>A 3D image, or a 4D one of several channels, is needed; this one has the shape {0}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>A DICOM segmentation of {0} labels is more than most programs can show, which take {1}: ask for fewer with --labels, or write a .seg.nrrd or .nii.gz file.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>A label by example needs a name.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>A label tree needs at least one label.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>A model "{0}" is already installed in "{1}"; update it, or remove it first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>A network is adapted in 1 to {0} steps, not in {1}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>A package has no entries {0}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>A run is going on; cancel it first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>A run is going on; wait for it, or cancel it first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>A spacing is three lengths in mm above 0, along (i, j, k); this one is {0}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>A table of volumes is made by pandas, which is not installed: pip install pandas.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>A tick shows its structure at once.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>A {0} file is written by the package slicerio, which is not installed: pip install slicerio.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Accept a result first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Adapted to this scan ({0}): {1} steps, aligned features {2}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>All strokes are of one class, "{0}"; paint another one as well, such as Background.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>An affine is a 4x4 matrix of numbers whose last row is 0 0 0 1; this one is {0}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>An array of real numbers is needed; this one holds {0}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>An array with the axes (k, j, i) or (channel, k, j, i) is needed; this one has the shape {0}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Apple GPU</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Apply</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Apply to 1 scan</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Apply to {0} scans</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Ask for permission to read it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Binary labelmap</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>CPU, {0} threads</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Cancelled in run {0} of {1}; what was done before is kept ({2}).</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Cancelled; nothing was changed.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Cancelled; nothing was written.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Cancelled; the model will be loaded again at the next run.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Check that it is of the kind that the model expects; the result may be wrong.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Check that the right file was chosen.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Check that the scan is of the kind that the model expects.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Check that the scan shows nothing but what the model expects, and that its spacing is right.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Check that the whole structure is in the scan and that the spacing is right.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Check the volumes in millilitres, or repair the header.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Choose a model, or add one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Choose another one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Choose another version of {0}: its zip file, or the model.json of its folder.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Choose at least one structure.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Choose the scan that is to be painted on.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Choose the scan that it was drawn on.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Choose the scan that the structure was painted on.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Choose the scan to segment.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Choose the segment that shows the structure.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Choose the volume of each channel.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Choose the whole scan.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Click a structure in the list to tick it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Click into a view.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Click into a view; the structures that the model sees there are offered.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Closed surface</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Comparison of</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Correct it in the Volumes module.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>DICOM files are written by the package highdicom, which is not installed: pip install highdicom.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Delete the model "{0}" from this computer?</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Delete {0} from this computer.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Dice of 1 structure: {0}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Do not trust labels there.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Done in {0} s on {1}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Every label without a parent has to belong to one protocol, and every protocol needs such a label; check the label {0}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Every stroke mends the answer in the preview; Accept writes it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Every stroke spreads over the intensities of the scan; Accept writes the preview.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Every stroke spreads over what the network found in the scan; Accept writes the preview.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Fill in the form of a label by example with the accepted structure, so that it is found in the next scan.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Further ticks show at once.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Give the label a name.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Give the scan itself; if this is one, say so: --not-a-label-map, or in Slicer the button "It is a scan".</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>ISO_IR 192</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>If that is wrong, left and right are exchanged.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>If they belong to it, slices are missing at its ends: copy it again.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Imaging procedure</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>It belongs to the model "{0}"; choose that one to use it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>It is not clear where the array lies: give an affine, or a spacing together with an orientation such as "LPS".</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>It is read, and the result written, as it lies.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Label "{0}" has the color {1}; red, green and blue are 0 to 1.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Label "{0}" has the id {1}; ids are 1 to {2}, 0 is the background.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Label "{0}" has the unknown laterality "{1}".</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Label "{0}" is its own ancestor.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Label Conditioned Segmentation</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Label {0} has no name.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Labels of models of LabelConditionedSegmentation</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Load it again.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Make sure that left is left, and repair the file.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Make sure that left is left, and repair the header.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Make sure that left is left.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Mark a model in the list first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Mean Dice of {0} structures: {1}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Memory was short: {0}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Metadata "{0}" cannot be "{1}"; allowed: {2}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Metadata "{0}" cannot be {1}; allowed: {2}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Metadata "{0}" needs a number, not "{1}"; allowed: {2}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Metadata field "{0}" has choices that cannot be told apart or from "{1}".</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Metadata field "{0}" has the unknown kind "{1}"; use "number" or "choice".</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Metadata field "{0}" is a choice without choices.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Metadata field "{0}" is a number and needs the ranges "possible" and "trained".</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Metadata field "{0}" needs finite ranges, "trained" within "possible".</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>My labels</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>No label was asked for; name at least one, or all.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>No label was asked for; name at least one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>No model was named; give at least one package.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>No stroke was painted; paint at least one on a structure and one on the background.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>No structure was shown; give at least one mask.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>No volume is chosen.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Not adapted to this scan, the model answered as it is: {0}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Not found in this volume: {0}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Nothing of the scan's foreground is left at the model's spacing; the scan is too small for this model.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Nothing was written.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Nothing was written; "Segment anyway" writes it nevertheless.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Only the background is painted, which does not say in which protocol the answer is wrong: paint a stroke of a label as well, of {0}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Only {0} of the scan are foreground, less {1}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Paint a stroke on a structure as well; only the background is painted.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Paint a stroke on the structure, and one in the segment Background around it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Paint a stroke where the answer is wrong, in the segment of what is there.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Paint another class as well, such as Background: all strokes are of "{0}".</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Paint the background around it, or strokes on it further out.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Picked point</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Press New to begin, or choose the segmentation that strokes are painted in.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>PyTorch finds no NVIDIA GPU or driver.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>PyTorch is not installed yet; press the button above to install it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>PyTorch was not installed; the Python console says why.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>PyTorch {0} is installed and {1} is needed; uninstall it in the module PyTorch Utils, restart Slicer, and come back.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>PyTorch, or something it needs, cannot be loaded ({0}); install it again.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Rename the file or the folder.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Repair the header.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Replace them, for example by 0, and try again.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Resample "{0}" to "{1}" with the Resample Scalar/Vector/DWI Volume module.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Run the model first; then labels by example can be shown.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Run the model first; then points can be picked.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Run {0} and write 1 structure.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Run {0} and write {1} structures.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Run {0} over the ticked scans, one after the other. Each gets a segmentation of its own; the volumes of all go into one table.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Segmentation category and type - 3D Slicer General Anatomy list</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Several protocols need conditioning at the head, without context classes and without a focus.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Show the model a structure that it does not know, as a segment on a scan; afterwards it can be found in every scan.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Slices of "{0}" were interpolated, and a DICOM segmentation refers to slices that there are; {1}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Something unexpected went wrong in the segmentation ({0}). The log has the details.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The DICOM file "{0}"</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The DICOM series in "{0}"</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The Python package safetensors</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The Python package safetensors is not installed yet; press the button above to install it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The adapter norm changes nothing in this model: its normalisation takes its statistics from every scan as it is. Choose another adapter, such as g2p-scale.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The advice "{0}" has to be a text of 1 to {1} characters.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The affine has an impossible spacing: one of its axes has no length, or two are one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The background of {0} is noise around {1}; what lies within {2} of it is taken for outside.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The background of {0} is {1}, not 0; it is taken for outside.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The box around the strokes ({0} voxels, {1} classes) is larger than the memory; paint nearer to the structures, or fewer of them at a time.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The device "mps" was asked for, but it needs an Apple GPU; use --device cpu.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The device "{0}" is not supported; use auto, cpu, cuda or mps.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The device "{0}" was asked for, but PyTorch finds no NVIDIA GPU here; use --device cpu, or install a CUDA build of PyTorch and its driver.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The device "{0}" was asked for, but there are only {1} GPUs; use cuda:0.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The example was left aside, since "{0}" is no longer one of My labels; add it as a new label.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The examples of "{0}" were made with different models; make them all with the same one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The extension PyTorch is not installed; install it in the Extensions Manager, restart Slicer, and come back.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The features of this scan were larger than the memory set aside for them, so the probabilities of "{0}" have to be asked for when the network runs: give probabilities=["{1}"] to Segmenter.segment or Segmenter.features.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The features of this scan were larger than the memory set aside for them; crop the scan to the part of interest to {0}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The file of the scan does not say which way its voxel axes run, so left and right were guessed when it was loaded.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The folder "{0}" holds no DICOM series that is a scan.{1}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The folder "{0}" holds {1} "{2}"; choose one with --series: {3}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The folder "{0}" holds {1} DICOM series; choose one with --series: {2}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The folder of models "{0}" cannot be read ({1}).</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The form for a label by example is filled in, under Structures; add the label there.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The format {0} cannot say where the scan lies; write a .seg.nrrd or .nrrd file.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The header gives its lengths in {0}; they were read as such.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The header says twice where the scan lies, and its {0} disagree about left and right. {1}; programs that take the qform show left as right.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The header says twice where the scan lies, and its {0} lie up to {1} mm apart. {2}; programs that take the qform show the scan elsewhere.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The header's qform holds impossible numbers. {0}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The image does not say which way its voxel axes run, so left and right are not known: use Volume.from_numpy, which takes the affine, or the orientation in letters.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The images of "{0}" do not say their {1}, so that a DICOM segmentation cannot refer to them; {2}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The input has {0} channels and the network {1}; they have to agree.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The intensity scheme percentiles needs a low and a high from 0 to 100.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The intensity scheme z-score takes neither low nor high; leave them out.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The intensity scheme {0} needs a low that is less than its high.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The label "{0}" has the format {1}, this version reads up to {2}; update LabelConditionedSegmentation.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The label "{0}" holds numbers that no model makes; make it again from its example.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The label "{0}" was made with another model ({1}) than "{2}"; make it again from its example, or use that model.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The labels of "{0}" enter inside its network, so that they have no prompts to relate; take a model that has conditioning at the head.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The last Accept was taken back.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The last Apply was taken back, and its segmentation with it; the next Apply makes a new one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The last Apply was taken back.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The mask of "{0}" lies outside of what the model sees of its scan, which is all but the background; give the scan that it was painted on.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The memory of this machine is not enough for this scan; crop it, or use a machine with more memory.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model "{0}" cannot be adapted to a scan, since it has no statistics of its features; leave the adaptation out, or let the maker of the model add them (python -m Training.studies.feature_statistics).</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model "{0}" cannot be adapted to a scan, since its features depend on the label; leave the adaptation out, or choose another model.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model "{0}" cannot be used: {1}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model "{0}" could not be removed ({1}).</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model "{0}" finds no "{1}" in this scan; check that it shows one, or say that it shows nothing else: --stripped yes, or in Slicer the choice below the volume.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model "{0}" has no statistics of its features; choose one that has.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model "{0}" has none of the chosen structures.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model "{0}" looks inside the label "{1}" of the model "{2}": {3}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model "{0}" needs the model "{1}", which finds "{2}" for it, but there is none beside it or among the installed ones; install "{3}" as well.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model "{0}" needs the model "{1}", which reads {2} channels, but it has only {3} to give; use models that fit together.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model "{0}" takes {1} {2}, {3}; {4} {5} given.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model "{0}" was not trained to learn labels from examples; choose one that was.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model "{0}" was removed.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model "{0}", which this scene was made with, is not installed; add it, or go on with another one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model cannot be installed in "{0}" ({1}).</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model divides a scan in several ways ({0}), each of which has a map of its own.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model does not know the metadata field "{0}".{1}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model does not say that each connected piece of "{0}" is a thing of its own; {1}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model has no protocol "{0}"; {1}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model knows no label "{0}".{1} `lcs labels` lists them all.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model knows none of the painted structures ({0}), so it is no prior for them; name them as its labels, or spread the strokes without a prior.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model needs {0} channel(s) ({1}), but the scan has {2}; give the scan that the model was made for.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model package "{0}" has the format {1}, this version reads up to {2}; update LabelConditionedSegmentation.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model runs once. Then: click into a view; the structures that the model sees there are offered.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model was added.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model was updated.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model's input has the unknown foreground rule "{0}".</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model's input has the unknown intensity scheme "{0}" (known: {1}).</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model's input needs channels, a spacing of three lengths from 0.05 to 20 mm, and a margin.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The models "{0}" and "{1}" cannot answer together, since their {2} differ; name models that were trained alike, such as the folds of a cross-validation.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The models {0} need each other, so none of them can begin; ask who made them for a repaired one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The name {0} of a label by example holds a line break or another character that cannot be written; choose another one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The package calls itself "{0}", which cannot be the name of a folder.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The parent {0} of label "{1}" is not in the tree.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The patch size has to be made of multiples of {0}, up to 1024.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The path of "{0}" names two of one {1}, {2} and {3}; no table is used.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The preview was discarded; the next stroke makes a new one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The report is in the clipboard.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The result carries both, as the scan does.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The result is wrong: {0}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The result may be wrong: {0}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The same volume is chosen for more than one channel.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The scan</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The scan does not say which way its voxel axes run; {0} was assumed, as told.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The scan holds nothing between the values {0} and {1} that the model tells apart; check that it is of the kind that the model expects, for CT in Hounsfield units.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The scan holds voxels near the strokes that are NaN or infinite. Replace them, for example by 0, and try again.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The scan holds {0} voxels that are NaN or infinite.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The scan is constant: all its voxels have the same value, so there is nothing to segment.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The scan is empty: all its voxels are background. Check that the right file was chosen.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The scan is empty: every voxel is 0.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The scan is only a few millimetres thick; the model has hardly any context.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The scan was changed or removed while strokes were spread over it, so that the result was left aside.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The scan was taken for skull-stripped.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The scan would be {0} m long; its voxel spacing is wrong. Repair its header.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The scan's contrast differs from what the model was trained on (its rim is too bright or too dark against its middle).</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The scan's voxels are of the kind {0}; real numbers are needed.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The scan's voxels are up to {0} mm long and the model was trained on {1} mm; small structures will be inaccurate.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The segment "{0}" has no voxel in "{1}": paint the structure, or choose the scan that it was painted on.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The segment "{0}" has no voxels of its own, only a surface: create its binary labelmap in the Segmentations module.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The segment "{0}" lies under another transform than "{1}": put both under the same transform with the Transforms module, or choose the scan that it was painted on.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The segment is no longer in its segmentation; choose another one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The segmentation "{0}" is gone; the next Apply makes a new one, unless you choose another.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The segmentation "{0}" is kept as {1}: make binary labelmap its source in the Segmentations module, or choose a new segmentation.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The segmentation of the last Accept is no longer in the scene; accept a result first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The segmentation process cannot be started ({0}); check the installation and free disk space.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The segmentation process ended unexpectedly ({0}). The next run starts a new one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The segmentation process sent something that cannot be understood and was ended; the next run starts a new one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The segmentation process was ended by a cancel before it came to this; ask again.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The series has {0} slices for {1} even places; what is missing between them was interpolated.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The sform and the qform in the file of the scan disagree about left and right; here the qform was taken, while {0}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The sform and the qform in the file of the scan lie apart; here the qform was taken, while {0}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The sform was taken, as nibabel, FSL and FreeSurfer do</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The slices of "{0}" lie in several multi-frame files, to which one DICOM segmentation cannot refer; {1}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The strokes "{0}" and "{1}" share {2} voxels; erase one of them there.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The strokes "{0}" lie outside of the scan: paint inside of it, or choose the scan that they were painted on.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The strokes "{0}" lie under another transform than "{1}": put both under the same transform with the Transforms module, or begin new strokes.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The strokes "{0}" were painted on another grid than that of "{1}": choose the scan that they were painted on, or begin new strokes.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The strokes were painted on another scan; give the scan that they were painted on.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The structures of the last Accept are no longer in their segmentation; accept one first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The transform above this volume flattens it to nothing: correct or remove it with the Transforms module.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The tree has {0} labels; at most {1} fit.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The tree names no protocol.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The two have no structure of the same name.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The volume has changed since it was segmented; run the model again.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The volume is no longer in the scene.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The volume was changed or removed during the run, so its result was left aside; start a new run.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The volume, the model or what is known about the scan has changed: press Apply for a new run.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The volumes are in the table "{0}".</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The voxel axes of the scan lean against each other by up to {0} degrees, as under a tilted gantry.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The voxels measure {0} mm by the header's sform and {1} mm by its pixdim. {2}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The {0} ({1} voxels of {2}) does not lie on the voxels of its scan ({3} of {4}): resample it to the scan's grid, or give the scan that it was painted on.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The {0} holds voxels that are NaN or infinite; a mask is 0 where the structure is not, and another number where it is.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The {0} is empty: no voxel of it is marked. Paint the structure, or choose another segment.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The {0} is no longer in the scene; choose another one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The {0} lies outside of its scan; give the scan that it was painted on.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The {0} was found first ({1} ml).</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>There is a label "{0}" already; give the one by example another name.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>There is another answer of the model now; paint another stroke to mend that one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>There is no adapter "{0}"; choose one of {1}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>There is no answer of the model for this scan that could be mended: press Apply first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>There is no file "{0}".</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>There is no label "{0}" in My labels any more.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>There is no model "{0}". Installed: {1}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>There is no model package "{0}"; check its name, or install it again.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>There is no probability map of "{0}"; ask for it with the others.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>There is nothing to undo.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>There is nothing to undo: the segmentation of the last Accept is no longer in the scene.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>There is nothing to undo: the segmentation of the last run is no longer in the scene.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>There is nothing to undo: the segmentations of these scans are no longer in the scene.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>This PyTorch was built without GPU support.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>This frame cannot be shown; load the sequence again.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>This frame is no longer in the scene.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>This is no label by example: it lacks something, or holds a value of the wrong kind ({0}).</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>This is the model "{0}" and no version of "{1}"; add it as a model.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>This looks like a label map or mask, not a scan: whole regions share one value.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>This point lies outside the part of the volume that the model has seen.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>This segmentation lies under another transform than the volume: put both under the same transform with the Transforms module, or choose a new segmentation.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>This segmenter was closed, which freed its network; load the package again.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>This volume has an impossible voxel spacing or position.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>This volume has no voxels.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>This volume is 4D, {0} values a voxel: choose a frame with the Sequences module.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>This volume is 4D: choose a frame with the Sequences module.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>This volume is a label map, not a scan.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>This volume is a sequence: its frame {0}, the one that is shown, is segmented.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>This volume is a single slice; a 3D scan is needed.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>This volume is in colour: choose a grey-value scan, or convert it with the Vector to Scalar Volume module.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>This volume lies under a non-linear transform: harden or remove it with the Transforms module.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Two labels of the tree are called "{0}".</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Two labels of the tree have the same id.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Two metadata fields of the model have the same name.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Two protocols of the tree have the same name.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Use a scan of finer spacing if there is one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Use a scan of the whole structure.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Volumes of several scans</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>What Apply made of "{0}" was taken back.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>What a model's input lies inside needs a package, a label of it, and a margin from 0 to 500 mm.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>What is known about the scan was changed meanwhile: press Apply for a new run.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>What the model "{0}" needs cannot be looked for ({1}); ask for permission to read the folders of models.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>What the model usually finds has to say something of every label.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>What the network found in that run is not kept any more; press Apply again to {0}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Where a tree has several protocols, each of them needs a name.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Write 1 structure at once: the network has seen this volume already.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Write {0} structures at once: the network has seen this volume already.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Written into "{0}": {1}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>You may not read "{0}"; ask for permission, or copy it to a folder of your own.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>a corner lies {0} voxels apart</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>a piece has voxels</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>a volume's affine is 4x4; got the shape {0}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>a volume's array has the axes (channel, k, j, i); got the shape {0}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>a wrong array ({0}): {1}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>about {0} min left</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>about {0} s left</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>adapting to this scan</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>all of its labels belong together</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>an endless line: {0}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>an event of no request: {0}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>an impossible event: {0} {1}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>as align, each layer as fast as its ratio of gradient to parameter says</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>as align, in the layers with the largest ratio of gradient to parameter</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>ask for labels by example</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>ask for single points</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>atlas, patch {0} of {1}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>can't allocate memory</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>checking the atlas</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>checking the model</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>checking the scan</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>cubic millimeter</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>data file</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>decide labels</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>deciding labels</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>echo time</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>entered</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>entered ({0} {1})</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>example done</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>exit status {0}: its log says why, or there was too little memory</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>export it again, or interpolate there with --fill-gaps.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>features are brought nearer to those of the training scans</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>features gathered in main memory</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>file name _{0}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>find probabilities</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>finding the {0}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>first looks</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>flip angle</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>from DICOM</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>from the subject</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>further away</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>gradient echo</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>hardly anything lies outside {0}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>has the unknown</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>image type</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>inputs (channels, grid, foreground or intensities)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>inversion time</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>it has {0}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>it says so of none of its labels</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>it says so of {0}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>its foreground has the size of a brain</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>killed by signal {0}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>label chunk {0}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>label trees</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>learn from an example on it</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>learning from the example</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>left and right differ more than in any scan of the training</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>loading PyTorch</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>loading the model</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>looking at the scan</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>looking at the strokes</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>mend its answer</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>metadata fields</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>network done</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>network on the CPU</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>network, patch {0} of {1}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>nibabel, FSL, FreeSurfer and lcs take the sform</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>no array of ours</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>no event: {0}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>no message: {0}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>no modality</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>no series</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>none of T1, T2, FLAIR and PD</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>not enough memory</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>not stated</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>of any level</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>of the level {0}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>out of memory</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>patch sizes</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>random walks</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>relate its labels</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>running the network</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>scan that strokes are painted on</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>segmentation of strokes</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>sform (code {0}) and qform (code {1})</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>space directions</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>spin echo</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>spread strokes</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>spread strokes by it</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>spread strokes by what the network found</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>statistics of normalisation layers are taken from the scan, in networks that store them</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>stripped has to be {0}, and is "{1}".</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>structures disappeared from the answer</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>than the model was trained on ({0} to {1})</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>that was asked for</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>the adapted network computes values that are not finite</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>the adapted network is certain of everything</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>the answer became less certain</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>the channel {0}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>the date of the study is missing or no date</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>the end of a request that was not read: {0}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>the features hardly came nearer to those of the training scans</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>the features of this scan are as near to those of the training scans as these are to each other</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>the file has another size</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>the file name "_{0}"</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>the library that writes this format gives no reason</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>the network as it is</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>the scale and shift of normalisation layers make answers more certain</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>the scan</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>the structures are bright and dark in another way than in the scans of the training</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>the structures have sizes that no scan of the training had</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>the user says so</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>there are strokes</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>there is a request {0} already</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>time point</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>trigger time</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>use of mirror images</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>volumes under non-linear transforms are refused before</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>what was read back is not what was written</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>which cannot be</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>which cannot be told in "{0}"</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>which is in "{0}" and cannot be told in "{1}"</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>which is more than one number</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>which is no age</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>which is no date</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>which is no number</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>which the model does not know</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>window batch {0}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>write a .seg.nrrd file instead.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} = {1} lies outside what the model was trained on ({2}); it is treated as unknown.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} = {1}+ means at least {2}; it is taken as {3}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} About {1} GiB are needed, {2} GiB are free.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} Nothing was written; force=True writes it nevertheless.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} a segmentation process is started
</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} and {1} more</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} can be segmented.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} cannot be handed to or from the segmentation process ({1}); free disk space in "{2}".</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} cannot be opened, since the name is not UTF-8; rename it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} cannot be read: "{1}" is damaged, or packed in an unknown way.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} cells under {1} columns</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} comes with the extension and stays; a version that you add is taken before it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} could not be installed; look into the Python console, check the internet connection, and try again.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} did not work; the first: {1}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} files beside the series are DICOM and damaged, such as "{1}".</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} has unevenly spaced slices, {1} to {2} mm apart; {3}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} has {1} slices that do not say where they lie, such as "{2}" (a secondary capture, or a converted picture); export the original series.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} holds frames whose values are scaled differently; export it as one file a slice.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} holds several slices at one place (repeated or dynamic images), and nothing in their headers tells them apart; export one volume of it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} holds slices in {1} different directions (a localizer), which are no one volume; choose another series.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} holds slices of different sizes or pixel spacings, which are no one volume.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} holds slices that do not lie behind each other on a straight line; export it again.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} is "{1}", {2}; left unknown.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} labels that overlap are too much for one DICOM segmentation of a scan of this size: ask for fewer with --labels, or write a .seg.nrrd file.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} lacks {1} of its slices, between {2} for one (a gap of {3} mm where {4} are usual); {5}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} needs PyTorch, which is not part of Slicer. It will now be downloaded (up to several gigabytes) and installed by the extension PyTorch, in the build that fits this computer. Nothing else is sent or changed. This may take some minutes.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} needs the Python package safetensors. It will now be downloaded and installed. Nothing else is changed.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} of 1 structure chosen</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} of the scan are foreground, more {1}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} of {1} runs were done.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} of {1} structures chosen</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} or unknown</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} run report</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} segmentation by {1}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} slices of the series lie in the folder twice; each was taken once.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} strokes preview</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} takes {1} volumes of each scan; segment such scans one by one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} to {1} or unknown</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} to {1} {2} or unknown</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} voxels here and {1} there</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} was not trained to learn labels from examples; choose a model that was.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} was not trained to learn labels from examples; choose one that was.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} {1} is "{2}", {3}; left unknown.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0} {1} says {2}, but {3} says {4}; the {5} is left unknown.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0}, as 1 segment</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0}, as {1} segments</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{0}{1}; the model was trained on {2} to {3}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{share:.0%} of the structures that every scan has were not found</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>panel.LabelConditionedSegmentationSubjectHierarchyPlugin</name>
    <message>
      <source>Segment structures...</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>panel.beside_view</name>
    <message>
      <source>Both</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Compare with...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Dice</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Other</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Structure</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The other</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>This one</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>ml</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>panel.device_view</name>
    <message>
      <source>Automatic</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>panel.example_form</name>
    <message>
      <source>A new label</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Add this example</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Add to My labels</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Anywhere</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Atlas, {channel}:</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Run the model once over the scan and add the label to the tree, under My labels.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Run the model once over the scan and make the label anew, from all of its examples and this one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The {channel} volume that the structure was painted on.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>panel.input_view</name>
    <message>
      <source>Choose a volume</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>panel.installed_view</name>
    <message>
      <source>Licence</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Model</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Size</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Version</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>cannot be used</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>panel.label_view</name>
    <message>
      <source>Also called: </source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>As one</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Give {name} as one segment instead of its parts.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>One complete way to divide the scan; structures of different ones may overlap.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>SNOMED CT: </source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Side: </source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Structure</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>left</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>right</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>panel.metadata_form</name>
    <message>
      <source>unknown</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>panel.model_view</name>
    <message>
      <source>Add model</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Model packages (*.zip model.json)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Not for: </source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{licence}

Do you use the model {model} within this licence?</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>panel.my_labels_view</name>
    <message>
      <source>Export a label by example</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Import a label by example</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Labels by example</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Name:</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Rename a label by example</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>panel.request_loop</name>
    <message>
      <source>Cancelling...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>starting</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{number} of {all}</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>panel.result_view</name>
    <message>
      <source>Asymmetry</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Left</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Point at a slice: its structure is named here. Click one in the tree.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Right</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Structure</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>ml</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>panel.scans_view</name>
    <message>
      <source>Frames</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>No other model</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scan</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>panel.stripped_view</name>
    <message>
      <source>Automatic</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>No</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Yes</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>panel.structures_view</name>
    <message>
      <source>No recent structures</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Recent structures</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>panel.task_view</name>
    <message>
      <source>The {channel} volume that is to be segmented.</source>
      <translation type="unfinished" />
    </message>
  </context>
</TS>
