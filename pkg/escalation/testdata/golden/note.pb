
	EVENTnoteone‡¨≈¢å4"lea*noteäÊ∏à„Åø